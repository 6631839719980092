//! Rules: files of recording and alerting rules, their evaluation, and the delivery of alerts.
//!
//! It takes the seat of Prometheus's and Loki's rulers. It must not know the HTTP surface, storage engines or
//! what becomes of an alert once an Alertmanager has it: that is another crate's. Query languages come in
//! through the traits of [`expression`], storage through those of `model`, time through `base`.
//!
//! In reading order: [`file`](mod@file) (rule files, their faults and lints), [`expression`] (what a rule asks, and who
//! answers), [`template`] (what labels and annotations are written in).

pub mod expression;
pub mod file;
pub mod template;
