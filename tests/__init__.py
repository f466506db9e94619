"""The tests mirror the tree; each begins with a sentence that holds."""
