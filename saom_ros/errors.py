"""Exceptions that tell a user about a mistake or a bad input.

Everything the package raises on purpose derives from `SaomError`; its message names the value, the limit and the mend.
Command lines print the message and exit 2, the node logs it and goes on; a traceback is for defects of ours only.
"""


class SaomError(Exception):
    """A user's mistake or a bad input; the message is fit to be shown as it is."""


class BundleError(SaomError):
    """A model bundle that is missing, damaged, or does not fit this version of the package."""


class ImageError(SaomError):
    """An image or prompt points that cannot be segmented."""
