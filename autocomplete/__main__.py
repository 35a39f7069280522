"""`python -m autocomplete` is the command `autocomplete`."""

from autocomplete.cli.main import main

if __name__ == "__main__":  # a sweep's processes import this module
    main()
