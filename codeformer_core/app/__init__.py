"""The demo page of the talk, for people without ComfyUI: a service, and a page over it."""
