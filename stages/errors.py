"""The one exception that stands for a user's mistake."""


class UserError(Exception):
    """A mistake that the user can mend: one line saying what, where, what is allowed and what to do."""
