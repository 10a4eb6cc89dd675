"""The simulated shop: about a thousand products, and shoppers whose hidden tastes drift."""
