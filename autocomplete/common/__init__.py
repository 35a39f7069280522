"""What every room needs: settings, errors, files, processes, progress. Imports no other room."""
