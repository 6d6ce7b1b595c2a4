"""One function a stage of the weekly run: read tables, call core, write tables, return a Summary."""
