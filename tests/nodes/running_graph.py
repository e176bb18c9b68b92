"""The graph that nodes run in, as a hidden input shows it to them."""


class RunningGraph:
    """Nodes by number: `_1=(kind, inputs)`."""

    def __init__(self, **nodes):
        self.nodes = {
            number.strip("_"): {"class_type": kind, "inputs": given} for number, (kind, given) in nodes.items()
        }

    def get_node(self, number):
        return self.nodes[number]
