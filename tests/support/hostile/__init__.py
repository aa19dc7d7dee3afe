"""Clients that a service on the open internet meets: they stop in the middle, dawdle, never read, and come again.

One process holds thousands of their connections (`process.HostileClients`); what each kind does is in `crowds`.
"""
