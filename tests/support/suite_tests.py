"""The three daemons over a MariaDB of their own, without Postfix and Dovecot."""

from private_server import MariaDB
from private_server.suite import Suite
from site_tests import BUILD

IMPATIENT = {"deadline": "500ms", "retry_after": "50ms", "retry_after_max": "200ms"}


def make_suite(test, folder, settings):
    """The database, which runs, and the suite, which `test` is to fill and start. Both end with the test."""
    database = MariaDB(folder)
    database.start()
    test.addCleanup(database.stop)
    settings = {"database": IMPATIENT, **settings}
    suite = Suite(BUILD, folder, ["unix:" + database.socket], folder.make("postfix/queue"), (0, 0), settings)
    test.addCleanup(suite.stop)  # fails when a daemon ends otherwise than it should
    suite.control("schema", "init")
    return database, suite
