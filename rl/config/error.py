"""What is wrong with a configuration, for the person who wrote it."""


class ConfigError(ValueError):
    """One or more mistakes, a sentence each: where it stands, what it says, and the way out."""

    def __init__(self, *mistakes: str) -> None:
        self.mistakes = mistakes
        super().__init__("\n".join(mistakes))
