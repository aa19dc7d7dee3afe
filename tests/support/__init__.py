"""What tests of several modules stand on; no module in here is a test."""
