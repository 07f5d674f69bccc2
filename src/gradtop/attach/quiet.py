"""When nothing may be looked at."""


def quiet() -> bool:
    """A compiler traces what runs now, or a CUDA graph records it: a look would become part of it."""
    import torch

    if torch.compiler.is_compiling():
        return True
    initialized: bool = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return initialized and torch.cuda.is_current_stream_capturing()
