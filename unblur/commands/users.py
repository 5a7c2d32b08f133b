"""`unblur users`: manages the accounts of the web application."""

from __future__ import annotations

import sys
from getpass import getpass
from pathlib import Path
from typing import Annotated, Literal

import sqlalchemy as sql
import typer
from sqlalchemy.exc import SQLAlchemyError

from stream.errors import UsageError
from stream.storage.database import database_error, masked_url
from unblur.app_database import application_database, database_to_read
from unblur.commands.options import Command, FolderOption, command_app, examples
from unblur.data_dir import data_folder_path, make_data_folder, require_data_folder
from unblur.terminal import Results, printable, standard_output
from unblur.web.auth.accounts import Accounts, normalize_account_name
from unblur.web.auth.audit import Audit
from unblur.web.transport.access import Role

app = command_app("Manage the accounts of the web application. Passwords are asked for.")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The account's name.")]
RoleOption = Annotated[
    Literal["viewer", "operator"] | None,
    typer.Option(help="An operator may also change things."),
]


@app.command(
    "add",
    cls=Command,
    epilog=examples(
        "unblur users add ann", "unblur users add bob --role viewer", "unblur users add ann --data /srv/unblur"
    ),
)
def add_user(name: NameArgument, role: RoleOption = None, data: FolderOption = None) -> None:
    """Add an account.

    Without --role the first account is an operator, and every other a viewer.
    """
    Register(data, adding=True).add(name, role)


@app.command("list", cls=Command, epilog=examples("unblur users list"))
def list_users(data: FolderOption = None) -> None:
    """List the accounts with their roles."""
    show_accounts(data)


@app.command("remove", cls=Command, epilog=examples("unblur users remove bob"))
def remove_user(name: NameArgument, data: FolderOption = None) -> None:
    """Remove an account. The last operator cannot be removed."""
    Register(data).remove(name)


@app.command("password", cls=Command, epilog=examples("unblur users password ann"))
def change_password(name: NameArgument, data: FolderOption = None) -> None:
    """Change the password of an account, and end its sessions."""
    Register(data).set_password(name)


_WHO = "console"
"""The user name of the command line in the audit log."""


def show_accounts(data: Path | None) -> None:
    """Print names and roles, read-only. Raises UsageError if `data` is not a data folder."""
    engine = database_to_read(data_folder_path(data))
    try:
        accounts = Accounts(engine).all() if sql.inspect(engine).has_table("users") else []
    except SQLAlchemyError as error:
        raise UsageError(f"cannot read {masked_url(engine)}: {database_error(error)}") from error
    finally:
        engine.dispose()
    with standard_output() as stream:
        for user in accounts:
            stream.write(f"{printable(user.name)}\t{user.role}\n")


class Register:
    """Changes the accounts in a data folder and writes the audit log. All methods raise UsageError.

    A missing folder is created only if `adding`, else it is a UsageError.
    """

    def __init__(self, data: Path | None, adding: bool = False) -> None:
        folder = make_data_folder(data) if adding else data_folder_path(data)
        if not adding:
            require_data_folder(folder)
        engine = application_database(folder)
        self._accounts, self._audit = Accounts(engine), Audit(engine)

    def add(self, name: str, role: Role | None) -> None:
        """Add an account with a prompted password. Without a role, the first account is an operator, others viewers."""
        new_role: Role = role or ("viewer" if self._accounts.exist() else "operator")
        user = self._accounts.add(name, _password(), new_role)
        self._audit.note(_WHO, "added an account", f"{user.name}, {user.role}")
        Results().say(f"Added {user.name} ({user.role}).")

    def remove(self, name: str) -> None:
        """Remove an account and end its sessions."""
        self._accounts.remove(name)
        self._audit.note(_WHO, "removed an account", normalize_account_name(name))

    def set_password(self, name: str) -> None:
        """Set a prompted password and end the account's sessions."""
        self._accounts.set_password(name, _password())
        self._audit.note(_WHO, "changed the password", normalize_account_name(name))


def _password() -> str:
    """Read a password: typed twice without echo, or one line of standard input if it is no terminal."""
    if not sys.stdin.isatty():
        return _line()
    password = getpass("Password: ")
    if password != getpass("Repeat password: "):
        raise UsageError("the passwords differ: nothing was changed")
    return password


def _line() -> str:
    try:
        return sys.stdin.readline().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise UsageError("the password on standard input is not UTF-8") from error
