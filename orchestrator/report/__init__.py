"""Reports on nights: a static site, Markdown and text for a terminal."""
