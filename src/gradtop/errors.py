"""What can go wrong, as one small tree.

GradtopError            anything that gradtop reports as a sentence and an exit code
├── ConfigError         a setting that is not known or not valid; names the file and the key
├── RecordError         one line that is not a record; counted and shown by `explain`
├── SourceError         a path that cannot be read; becomes a visible state of that source
└── OutputError         what is to be printed cannot be written
"""


class GradtopError(Exception):
    """The root: its text is one sentence that says what is wrong, where, and what to do."""


class ConfigError(GradtopError):
    """A setting is unknown or has a value that cannot be used."""


class RecordError(GradtopError):
    """A line is not a record of the gradtop stream."""


class SourceError(GradtopError):
    """A path cannot be opened or is of a kind that is not read."""


class OutputError(GradtopError):
    """A report cannot be written where it is to go."""
