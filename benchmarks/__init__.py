"""Measurements. Tables go to standard output; what the program logs, to standard error."""

import logging
import sys

import structlog

structlog.configure(
    wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    logger_factory=structlog.PrintLoggerFactory(sys.stderr),
)
