"""An Airflow DAG that creates the monitors of a file every night.

For Airflow 3. Put it into the folder of DAGs, install bulkload beside Airflow, and give the workers ALERTSITE_USERNAME
and ALERTSITE_PASSWORD (or a secret that sets them). Whatever pandas reads can take the place of the file.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowFailException

# The store knows what was created: it needs a disk that outlives the task and the worker
STORE = Path(os.environ.get("MAIL_MONITORS_STORE", "/var/lib/bulkload"))
HOSTS = Path(os.environ.get("MAIL_MONITORS_HOSTS", "/var/lib/bulkload/hosts.csv"))


@dag(schedule="15 2 * * *", start_date=datetime(2026, 1, 1), catchup=False, max_active_runs=1)
def mail_monitors():
    @task(retries=6, retry_delay=timedelta(minutes=15))
    def create() -> dict[str, int]:
        import pandas

        import bulkload as bl

        hosts = pandas.read_csv(HOSTS, dtype=str, keep_default_na=False)  # "NA" and 007 stay what they are
        try:
            result = bl.run(hosts, store=STORE, label="nightly hosts")
            result.to_excel(STORE / "nightly-hosts-results.xlsx")
            result.raise_for_rows()
        except bl.BulkloadError as error:
            if error.temporary:  # another run holds the store, the API is down: Airflow tries again, nothing is doubled
                raise
            raise AirflowFailException(str(error)) from error  # a person has to look at it
        return dict(result.counts)

    create()


mail_monitors()
