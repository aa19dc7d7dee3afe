"""What environment variables may hold and mean, singly and together. Their values are in `config`.

May import `errors`.
"""
