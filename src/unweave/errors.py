"""What is raised for what a person asked for."""


class UserError(ValueError):
    """Something a person asked for that cannot be done; its message is one line that says what is allowed."""
