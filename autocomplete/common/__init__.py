"""What every room needs: settings, records, errors, files, processes, progress. Imports no other room."""
