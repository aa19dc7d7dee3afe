"""The double of the storage server, held to the contract and to clients that we did not write."""
