"""DVC's scripts, one for each stage: each reads files, calls the library, and writes files."""
