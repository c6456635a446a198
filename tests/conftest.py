"""For the tests of both sides."""

from hypothesis import settings

# A busy machine is no defect of the code.
settings.register_profile("saom", deadline=None)
settings.load_profile("saom")
