"""A demo page for people without ComfyUI: a service, and a page over it."""
