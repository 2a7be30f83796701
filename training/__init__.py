"""Scripts that train and examine the models in `models/`; the app never imports them."""
