"""From text to facts: files, names, classes and methods, as far as reading tells; no opinion of them."""
