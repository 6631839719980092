//! Rules: checked and tested as promtool does, evaluated by a server, told to a real Alertmanager.

mod alertmanager;
mod history;
mod promtool;
mod server;
mod shape;
