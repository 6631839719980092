//! Configurations of an Alertmanager: the reference's own files, and mistakes one by one.

use config::alertmanager::{AlertmanagerSettings, MatcherMode};

use crate::support::conformance_dir;

/// Files that must not load, and what is said about them.
#[rustfmt::skip]
const BAD: &[(&str, &str)] = &[
    ("mattermost-both-webhook-url-and-file", "at most one of mattermost_webhook_url & mattermost_webhook_url_file must be configured"),
    ("mattermost-no-webhook-url", "missing webhook_url or webhook_url_file on mattermost_config"),
    ("mattermost-valid-receiver-both-webhook-url-and-file", "at most one of mattermost_webhook_url & mattermost_webhook_url_file must be configured"),
    ("nil-match_re-route", "invalid regexp value for \"invalid_label\""),
    ("nil-source_match_re-inhibition", "invalid regexp value for \"invalid_source_label\""),
    ("nil-target_match_re-inhibition", "invalid regexp value for \"invalid_target_label\""),
    ("opsgenie-both-file-and-apikey", "at most one of opsgenie_api_key & opsgenie_api_key_file must be configured"),
    ("opsgenie-default-apikey-old-team", "yaml: unmarshal errors:\n  line 16: field teams not found in type opsgenie.plain"),
    ("opsgenie-no-apikey", "no global OpsGenie API Key set either inline or in a file"),
    ("rocketchat-both-token-and-tokenfile", "at most one of rocketchat_token & rocketchat_token_file must be configured"),
    ("rocketchat-both-tokenid-and-tokenidfile", "at most one of rocketchat_token_id & rocketchat_token_id_file must be configured"),
    ("rocketchat-no-token", "no global Rocketchat Token set either inline or in a file"),
    ("slack-both-file-and-token", "at most one of slack_app_token & slack_app_token_file must be configured"),
    ("slack-both-file-and-url", "at most one of slack_api_url & slack_api_url_file must be configured"),
    ("slack-both-url-and-token", "at most one of slack_app_token/slack_app_token_file & slack_api_url/slack_api_url_file must be configured"),
    ("slack-no-api-url-or-token", "no Slack API URL nor App token set either inline or in a file"),
    ("slack-update-message-and-webhook", "update_message can only be used with bot tokens. api_url must be set to https://slack.com/api/chat.postMessage"),
    ("smtp-both-password-and-file", "at most one of smtp_auth_password & smtp_auth_password_file must be configured"),
    ("sns-invalid", "must provide either a Target ARN, Topic ARN, or Phone Number for SNS config"),
    ("telegram-both-bot-token-and-file", "at most one of telegram_bot_token & telegram_bot_token_file must be configured"),
    ("telegram-no-bot-token", "missing bot_token or bot_token_file on telegram_config"),
    ("telegram-valid-receiver-both-bot-token-and-file", "at most one of telegram_bot_token & telegram_bot_token_file must be configured"),
    ("victorops-both-file-and-apikey", "at most one of victorops_api_key & victorops_api_key_file must be configured"),
    ("victorops-no-apikey", "no global VictorOps API Key set"),
    ("wechat-both-file-and-secret", "at most one of wechat_api_secret & wechat_api_secret_file must be configured"),
    ("wechat-no-api-secret", "no global Wechat Api Secret set either inline or in a file"),
];

fn load(yaml: &str) -> Result<AlertmanagerSettings, String> {
    AlertmanagerSettings::from_bytes("/etc/am/am.yml".as_ref(), yaml.as_bytes(), MatcherMode::Fallback)
        .map_err(|error| error.message().to_owned())
}

#[test]
fn the_references_files_load_or_fail_as_they_do_there() {
    let Some(dir) = conformance_dir("alertmanager-config", "files of an Alertmanager") else { return };
    let (mut good, mut bad) = (0, 0);
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let stem = path
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .trim_start_matches("conf.")
            .trim_end_matches(".yml")
            .to_owned();
        let loaded = AlertmanagerSettings::load(&path, MatcherMode::Fallback);
        match BAD.iter().find(|(name, _)| *name == stem) {
            Some((_, message)) => {
                let error = loaded.expect_err(&stem);
                assert_eq!(error.message(), *message, "{stem}");
                assert!(error.line() > 0, "{stem} has no place: {error}");
                bad += 1;
            }
            None => {
                let settings = loaded.unwrap_or_else(|error| panic!("{error}"));
                // What is shown can be read again.
                load(settings.to_yaml())
                    .unwrap_or_else(|error| panic!("{stem}: {error}\n{}", settings.to_yaml()));
                good += 1;
            }
        }
    }
    assert_eq!(bad, BAD.len());
    assert!(good >= 17, "{good}");
}

#[test]
fn secrets_are_never_shown() {
    let Some(dir) = conformance_dir("alertmanager-config", "secrets of an Alertmanager") else { return };
    let settings = AlertmanagerSettings::load(&dir.join("conf.good.yml"), MatcherMode::Fallback).unwrap();
    let yaml = settings.to_yaml();
    assert!(!yaml.contains("mysecret") && yaml.contains("<secret>"), "{yaml}");
    assert!(!format!("{settings:?}").contains("mysecret"));
}

#[test]
fn receivers_take_what_they_lack_from_global() {
    let Some(dir) = conformance_dir("alertmanager-config", "receivers of an Alertmanager") else { return };
    let file = |name: &str| AlertmanagerSettings::load(&dir.join(name), MatcherMode::Fallback).unwrap();
    let settings = file("conf.smtp-password-global-and-local.yml");
    let mails: Vec<_> = settings.receivers.iter().flat_map(|receiver| &receiver.email_configs).collect();
    assert!(
        mails
            .iter()
            .any(|mail| mail.auth_password_file.is_empty() && !mail.auth_password.expose().is_empty())
    );
    assert!(
        mails
            .iter()
            .any(|mail| !mail.auth_password_file.is_empty() && mail.auth_password.expose().is_empty())
    );
    let settings = file("conf.slack-default-app-token.yml");
    let slack = &settings.receivers[0].slack_configs[0];
    assert_eq!(slack.api_url.expose(), "https://slack.com/api/chat.postMessage");
    assert!(slack.http_config.as_ref().unwrap().authorization.is_some());
}

#[test]
fn mistakes_are_named_with_the_references_words() {
    let route = "route: {receiver: x}\nreceivers: [{name: x}]\n";
    #[rustfmt::skip]
    let cases: &[(String, &str)] = &[
        (String::new(), "no route provided in config"),
        ("route: {group_wait: 30s}".to_owned(), "root route must specify a default receiver"),
        ("receivers: [{name: x}]".to_owned(), "no routes provided"),
        ("route: {receiver: x}\nreceivers: [{name: x}, {name: x}]".to_owned(), "notification config name \"x\" is not unique"),
        ("route: {receiver: x}\nreceivers: [{name: y}]".to_owned(), "undefined receiver \"x\" used in route"),
        ("route: {receiver: x, routes: [{match: {a: b}, routes: [{match: {a: b}, receiver: z}]}]}\nreceivers: [{name: x}]".to_owned(), "undefined receiver \"z\" used in route"),
        ("route:\nreceivers: [{name: ''}]".to_owned(), "missing name in receiver"),
        ("route: {receiver: x}\nreceivers: [{name: x, labels: {name: y}}]".to_owned(), "receiver label \"name\" must match receiver name \"x\", got \"y\""),
        ("route: {receiver: x, routes: [{match: {a: b}, mute_time_intervals: [work]}]}\nreceivers: [{name: x}]".to_owned(), "undefined time interval \"work\" used in route"),
        ("route: {receiver: x, routes: [{match: {a: b}, active_time_intervals: [work]}]}\nreceivers: [{name: x}]".to_owned(), "undefined time interval \"work\" used in route"),
        (format!("{route}time_intervals: [{{time_intervals: []}}]"), "missing name in time interval"),
        (format!("{route}mute_time_intervals: [{{name: a}}, {{name: a}}]"), "mute time interval \"a\" is not unique"),
        ("route: {receiver: x, group_by: [a, b, a]}".to_owned(), "duplicated label \"a\" in group_by"),
        ("route: {receiver: x, group_by: [a, '...']}".to_owned(), "cannot have wildcard group_by (`...`) and other labels at the same time"),
        ("route: {receiver: x, group_interval: 0s}".to_owned(), "group_interval cannot be zero"),
        ("route: {receiver: x, repeat_interval: 0s}".to_owned(), "repeat_interval cannot be zero"),
        ("route: {receiver: x, matchers: [a=b]}\nreceivers: [{name: x}]".to_owned(), "root route must not have any matchers"),
        ("route: {receiver: x, match: {a: b}}\nreceivers: [{name: x}]".to_owned(), "root route must not have any matchers"),
        ("route: {receiver: x, match: {'a-b': b}}".to_owned(), "invalid label name \"a-b\""),
        ("route: {receiver: x, mute_time_intervals: [a]}\nreceivers: [{name: x}]\ntime_intervals: [{name: a}]".to_owned(), "root route must not have any mute time intervals"),
        ("route: {receiver: x, active_time_intervals: [a]}\nreceivers: [{name: x}]\ntime_intervals: [{name: a}]".to_owned(), "root route must not have any active time intervals"),
        ("route: {receiver: x, continue: true}\nreceivers: [{name: x}]".to_owned(), "cannot have continue in root route"),
    ];
    for (yaml, message) in cases {
        assert_eq!(load(yaml).expect_err(yaml), *message, "{yaml}");
    }
}

#[test]
fn mistakes_of_receivers_are_named_with_the_references_words() {
    #[rustfmt::skip]
    let cases: &[(&str, &str)] = &[
        ("email_configs: [{to: ''}]", "missing to address in email config"),
        ("email_configs: [{to: a, headers: {Subject: a, subject: b}}]", "duplicate header \"Subject\" in email config"),
        ("email_configs: [{to: a, threading: {enabled: true}}]", "threading.thread_by_date must be either 'none' or 'daily'"),
        ("email_configs: [{to: a, threading: {enabled: true, thread_by_date: daily}, headers: {references: x}}]", "conflicting configuration: threading.enabled conflicts with custom References header"),
        ("email_configs: [{to: a}]", "no global SMTP smarthost set"),
        ("email_configs: [{to: a, smarthost: 'h:25'}]", "no global SMTP from set"),
        ("email_configs: [{to: a, smarthost: 'h'}]", "address h: missing port in address"),
        ("email_configs: [null]", "missing email config"),
        ("webhook_configs: [null]", "missing webhook config"),
        ("webhook_configs: [{}]", "one of url or url_file must be configured"),
        ("webhook_configs: [{url: 'http://x', url_file: y}]", "at most one of url & url_file must be configured"),
        ("webhook_configs: [{url: 'x'}]", "invalid URL: unsupported scheme \"\" for URL"),
        ("pagerduty_configs: [{}]", "missing service or routing key in PagerDuty config"),
        ("pagerduty_configs: [{routing_key: a, routing_key_file: b}]", "at most one of routing_key & routing_key_file must be configured"),
        ("opsgenie_configs: [{api_key: k, responders: [{type: team}]}]", "opsGenieConfig responder {   team} has to have at least one of id, username or name specified"),
        ("opsgenie_configs: [{api_key: k, responders: [{id: a, type: wrong}]}]", "opsGenieConfig responder {a   wrong} type does not match valid options ^(team|teams|user|escalation|schedule)$"),
        ("pushover_configs: [{token: a}]", "one of user_key or user_key_file must be configured"),
        ("pushover_configs: [{token: a, user_key: b, html: true, monospace: true}]", "at most one of monospace & html must be configured"),
        ("victorops_configs: [{api_key: a}]", "missing Routing key in VictorOps config"),
        ("victorops_configs: [{routing_key: a, custom_fields: {entity_state: x}}]", "victorOps config contains custom field entity_state which cannot be used as it conflicts with the fixed/static fields"),
        ("telegram_configs: [{bot_token: a}]", "missing chat_id or chat_id_file on telegram_config"),
        ("telegram_configs: [{bot_token: a, chat_id: 1, parse_mode: x}]", "unknown parse_mode on telegram_config, must be Markdown, MarkdownV2, HTML or empty string"),
        ("discord_configs: [{}]", "one of webhook_url or webhook_url_file must be configured"),
        ("webex_configs: [{}]", "missing room_id on webex_config"),
        ("webex_configs: [{room_id: a}]", "missing webex_configs.http_config.authorization"),
        ("msteams_configs: [{}]", "one of webhook_url or webhook_url_file must be configured"),
        ("msteamsv2_configs: [{}]", "one of webhook_url or webhook_url_file must be configured"),
        ("jira_configs: [{issue_type: a}]", "missing project in jira_config"),
        ("jira_configs: [{project: a}]", "missing issue_type in jira_config"),
        ("jira_configs: [{project: a, issue_type: b}]", "no global Jira Cloud URL set"),
        ("wechat_configs: [{message_type: x}]", "weChat message type \"x\" does not match valid options ^(text|markdown)$"),
        ("wechat_configs: [{api_secret: x}]", "no global Wechat CorpID set"),
        ("incidentio_configs: [{url: 'http://x', http_config: {}}]", "at least one of alert_source_token, alert_source_token_file or http_config.authorization must be configured"),
        ("slack_configs: [{api_url: 'http://x', actions: [{type: button, text: a}]}]", "missing name or url in Slack action configuration"),
        ("slack_configs: [{api_url: 'http://x', fields: [{title: a}]}]", "missing value in Slack field configuration"),
        ("slack_configs: [null]", "no Slack API URL nor App token set either inline or in a file"),
        ("slack_configs: [{api_url: 'ftp://secret'}]", "unsupported scheme \"ftp\" for URL"),
    ];
    for (receiver, message) in cases {
        let yaml = format!("route: {{receiver: x}}\nreceivers:\n- name: x\n  {receiver}\n");
        assert_eq!(load(&yaml).expect_err(&yaml), *message, "{yaml}");
    }
}

#[test]
fn old_matchers_are_taken_with_a_warning() {
    let yaml = "route: {receiver: x, routes: [{matchers: ['a=b c']}]}\nreceivers: [{name: x}]";
    let settings = load(yaml).unwrap();
    assert_eq!(settings.warnings.len(), 1, "{:?}", settings.warnings);
    assert!(settings.warnings[0].contains("write a=\"b c\" instead"), "{:?}", settings.warnings);
    let strict = AlertmanagerSettings::from_bytes("a.yml".as_ref(), yaml.as_bytes(), MatcherMode::Utf8Strict);
    assert_eq!(strict.unwrap_err().message(), "4:5: unexpected c: expected a comma or close brace");
}
