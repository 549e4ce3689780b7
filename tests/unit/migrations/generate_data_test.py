#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/generate-data: the same seed gives the same rows, and the rows hold what the books demand."""
import hashlib
import pathlib
import sqlite3
import subprocess
import sys
import tempfile
import unittest

TOOL = pathlib.Path(__file__).resolve().parents[3] / "tools" / "generate-data"


class GenerateData(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def generate(self, name, seed, *more):
        file = pathlib.Path(self.folder.name) / name
        done = subprocess.run([TOOL, "--sqlite", file, "--rows", "12000", "--seed", str(seed), *more],
                              capture_output=True, text=True, check=False)
        return file, done

    def created(self, name, seed):
        file, done = self.generate(name, seed, "--create")
        self.assertEqual(done.returncode, 0, done.stderr)
        return sqlite3.connect(file)

    @staticmethod
    def digest(db):
        return hashlib.sha256("\n".join(
            line for line in db.iterdump() if "sqlite_stat" not in line).encode()).hexdigest()

    def test_a_seed_decides_every_row(self):
        first = self.digest(self.created("a.db", 5))
        self.assertEqual(first, self.digest(self.created("b.db", 5)))
        self.assertNotEqual(first, self.digest(self.created("c.db", 6)))

    def test_balances_are_what_was_booked(self):
        db = self.created("a.db", 1)
        self.assertEqual(
            db.execute("SELECT asset FROM balances GROUP BY asset HAVING sum(free + locked) <> 0").fetchall(), [])
        self.assertEqual(db.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
        self.assertEqual(db.execute("PRAGMA foreign_key_check").fetchall(), [])

    def test_rows_are_about_as_many_as_asked_in_every_table(self):
        db = self.created("a.db", 1)
        tables = [row[0] for row in db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' "
            "AND name NOT IN ('projection_offset', 'api_credentials', 'exchange_credentials', "
            "'imports', 'import_tables', 'imported_rows', 'import_bad_rows', 'public_trades', "
            "'console_users', 'console_user_accounts', 'known_history', 'old_trades', 'old_candles', 'job_schedules')")]
        counts = [db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]
        self.assertTrue(all(counts), dict(zip(tables, counts)))
        # Summaries are kept by triggers and come on top.
        made = sum(count for table, count in zip(tables, counts) if not table.startswith("mv_"))
        self.assertAlmostEqual(made, 12000, delta=600)

    def test_a_database_with_rows_is_left_alone(self):
        before = self.digest(self.created("a.db", 1))
        file, done = self.generate("a.db", 2)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("has rows already", done.stderr)
        self.assertEqual(before, self.digest(sqlite3.connect(file)))


if __name__ == "__main__":
    sys.exit(unittest.main())
