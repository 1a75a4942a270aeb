# Every target calls dev.py, which needs nothing but Python 3.11 or later:
# without make, say `python3 dev.py test`. ARGS is passed on: make test ARGS="-k wire".
PYTHON ?= python3

.PHONY: setup demo test check bench score prove suites fuzz sqlmap
setup demo test check bench score prove suites fuzz sqlmap:
	@$(PYTHON) dev.py $@ $(ARGS)
