//! Rules: files of recording and alerting rules, their evaluation, and the delivery of alerts.
//!
//! It takes the seat of Prometheus's and Loki's rulers. It must not know the HTTP surface, storage engines or
//! what becomes of an alert once an Alertmanager has it: that is another crate's. Query languages come in
//! through the traits of [`expression`], storage through those of `model`, time through `base`.
//!
//! In reading order: [`file`](mod@file) (rule files, their faults and lints), [`store`] (rules that clients make), [`expression`] (what a rule asks, and who
//! answers), [`template`] (what labels and annotations are written in), [`rule`] and [`alert`] (one rule and what it
//! makes), `dependencies` (which rules wait for others), [`group`] (one evaluation), `restore` (alerts after a
//! restart), [`manager`] (when groups are due, and reloads), [`metrics`], [`notify`] (alerts on their way), then what
//! runs rules elsewhere: [`unit_test`] and [`backtest`]; at last [`defaults`], the rules that come with the program.

pub mod alert;
pub mod backtest;
pub mod defaults;
mod dependencies;
pub mod expression;
pub mod file;
pub mod group;
pub mod manager;
pub mod metrics;
pub mod notify;
mod restore;
pub mod rule;
pub mod store;
pub mod template;
pub mod unit_test;
