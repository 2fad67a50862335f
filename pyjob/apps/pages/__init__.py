"""Our own pages: HTML, style sheets and scripts, and how they get to a browser."""
