"""`unblur users`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from unblur.commands.options import FolderOption

app = typer.Typer(help="Who may use the web application. Passwords are asked for.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="The account's name.")]
RoleOption = Annotated[
    Literal["viewer", "operator"] | None, typer.Option(help="A viewer looks, an operator also changes things.")
]


@app.command("add")
def add_user(name: NameArgument, role: RoleOption = None, data: FolderOption = None) -> None:
    """Add an account: the first is an operator's, others are viewers' if --role does not say more."""
    from unblur.accounts import Register

    Register(data, adding=True).add(name, role)


@app.command("list")
def list_users(data: FolderOption = None) -> None:
    """Show who has an account."""
    from unblur.accounts import show_accounts

    show_accounts(data)


@app.command("remove")
def remove_user(name: NameArgument, data: FolderOption = None) -> None:
    """Remove an account; the last operator's stays."""
    from unblur.accounts import Register

    Register(data).remove(name)


@app.command("password")
def change_password(name: NameArgument, data: FolderOption = None) -> None:
    """Give an account another password, and end its sessions."""
    from unblur.accounts import Register

    Register(data).set_password(name)
