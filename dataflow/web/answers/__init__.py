"""What the routes answer in JSON: one marshmallow schema for each, by which it is written and described."""
