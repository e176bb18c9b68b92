"""The option that asks for all names in all inputs: many minutes."""


def pytest_addoption(parser):
    parser.addoption("--every-name", action="store_true", help="every name in every input that names a place")
