"""What can go wrong, as one small tree.

GradtopError            anything that gradtop reports as a sentence and an exit code
├── ConfigError         a setting that is not known or not valid; names the file and the key
├── RecordError         one line that is not a record; counted and shown by `explain`
├── FilterError         a filter that was typed cannot be used; the one before it holds
├── SourceError         a path that cannot be read; becomes a visible state of that source
└── OutputError         what is to be printed cannot be written
"""


class GradtopError(Exception):
    """The root: its text is one sentence that says what is wrong, where, and what to do."""


class ConfigError(GradtopError):
    """A setting is unknown or has a value that cannot be used."""


class RecordError(GradtopError):
    """A line is not a record of the gradtop stream."""


class FilterError(GradtopError):
    """A filter cannot be used: its text says what is wrong with it."""


class SourceError(GradtopError):
    """A path cannot be opened or is of a kind that is not read."""


class OutputError(GradtopError):
    """A report cannot be written where it is to go."""
