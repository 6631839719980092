use super::Fixture;
use crate::preferences::{Preferences, Theme, Whose};
use crate::sessions::{MAX_AGE_MS, MAX_IDLE_MS};
use crate::users::{NewUser, Role, User, UserChange};

fn user(fixture: &Fixture, login: &str, role: Role) -> User {
    let new =
        NewUser { login: login.to_owned(), name: String::new(), role, password: "a password".to_owned() };
    fixture.store.create_user(&new).unwrap()
}

#[test]
fn the_first_administrator_is_made_once() {
    let fixture = Fixture::new();
    let password = fixture.store.first_admin().unwrap().unwrap();
    assert_eq!(password.len(), 20);
    let admin = fixture.store.authenticate("Admin", &password).unwrap().unwrap();
    assert_eq!((admin.login.as_str(), admin.role), ("admin", Role::Admin));
    assert_eq!(fixture.store.first_admin().unwrap(), None);
}

#[test]
fn only_the_password_of_a_user_admits() {
    let fixture = Fixture::new();
    let ann = user(&fixture, "ann", Role::Viewer);
    assert_eq!(fixture.store.authenticate("ann", "a password").unwrap(), Some(ann.clone()));
    assert_eq!(fixture.store.authenticate("ann", "another one").unwrap(), None);
    assert_eq!(fixture.store.authenticate("bob", "a password").unwrap(), None);
    user(&fixture, "root", Role::Admin);
    let disabled = UserChange { is_disabled: Some(true), ..UserChange::default() };
    fixture.store.change_user(ann.id, &disabled).unwrap();
    assert_eq!(fixture.store.authenticate("ann", "a password").unwrap(), None);
}

#[test]
fn a_stranger_takes_as_long_as_a_user() {
    // The hash for strangers has to be one that is worked through, not one that is refused at once.
    assert!(argon2::PasswordHash::new(crate::passwords::NOBODY_HASH).is_ok());
}

#[test]
fn passwords_and_logins_have_rules() {
    let fixture = Fixture::new();
    let new = |login: &str, password: &str| NewUser {
        login: login.to_owned(),
        name: String::new(),
        role: Role::Viewer,
        password: password.to_owned(),
    };
    let refused = |login: &str, password: &str| {
        fixture.store.create_user(&new(login, password)).unwrap_err().to_string()
    };
    assert_eq!(refused("ann", "short"), "a password has at least 8 characters");
    assert_eq!(refused("ann", &"x".repeat(1025)), "a password has at most 1024 bytes");
    assert!(refused("a b", "a password").starts_with("a login has 1 to 190 bytes"));
    user(&fixture, "ann", Role::Viewer);
    assert_eq!(refused("ANN", "a password"), "there is a user \"ANN\" already");
}

#[test]
fn one_administrator_stays() {
    let fixture = Fixture::new();
    let root = user(&fixture, "root", Role::Admin);
    user(&fixture, "ann", Role::Editor);
    let why = "one administrator who can log in has to stay";
    assert_eq!(fixture.store.delete_user(root.id).unwrap_err().to_string(), why);
    for change in [
        UserChange { role: Some(Role::Editor), ..UserChange::default() },
        UserChange { is_disabled: Some(true), ..UserChange::default() },
    ] {
        assert_eq!(fixture.store.change_user(root.id, &change).unwrap_err().to_string(), why);
    }
    let other = user(&fixture, "other", Role::Admin);
    fixture.store.delete_user(root.id).unwrap();
    assert_eq!(fixture.store.users().unwrap().iter().map(|user| user.id).max(), Some(other.id));
}

#[test]
fn sessions_end_unused_and_old() {
    let fixture = Fixture::new();
    let ann = user(&fixture, "ann", Role::Viewer);
    let token = fixture.store.begin_session(ann.id, "Chromium").unwrap();
    let holder = |token: &str| fixture.store.session_user(token).unwrap().map(|user| user.login);
    assert_eq!(holder(&token).as_deref(), Some("ann"));
    assert_eq!(holder("made up"), None);

    let idle_s = u64::try_from(MAX_IDLE_MS / 1000).unwrap();
    for _ in 0..4 {
        fixture.later(idle_s - 1);
        assert_eq!(holder(&token).as_deref(), Some("ann"));
    }
    // Used all the time, it ends by age.
    let age_s = u64::try_from(MAX_AGE_MS / 1000).unwrap();
    fixture.later(age_s - 4 * (idle_s - 1));
    assert_eq!(holder(&token), None);

    let token = fixture.store.begin_session(ann.id, "Chromium").unwrap();
    fixture.later(idle_s);
    assert_eq!(holder(&token), None);
}

#[test]
fn sessions_end_when_they_are_ended() {
    let fixture = Fixture::new();
    let ann = user(&fixture, "ann", Role::Viewer);
    let tokens: Vec<_> = (0..4).map(|_| fixture.store.begin_session(ann.id, "x").unwrap()).collect();
    let held = |token: &String| fixture.store.session_user(token).unwrap().is_some();
    fixture.store.end_session(&tokens[0]).unwrap();
    assert_eq!(tokens.iter().map(held).collect::<Vec<_>>(), [false, true, true, true]);
    fixture.store.end_other_sessions(ann.id, &tokens[2]).unwrap();
    assert_eq!(tokens.iter().map(held).collect::<Vec<_>>(), [false, false, true, false]);
    assert_eq!(fixture.store.sessions(ann.id).unwrap().len(), 1);
    // A new password is for those who lost the old one to somebody: nobody stays.
    fixture.store.change_password(ann.id, "a password", "a new password").unwrap();
    assert!(!held(&tokens[2]));
    assert!(fixture.store.change_password(ann.id, "a password", "a third one").is_err());
}

#[test]
fn the_file_does_not_have_the_token() {
    let fixture = Fixture::new();
    let ann = user(&fixture, "ann", Role::Viewer);
    let token = fixture.store.begin_session(ann.id, "x").unwrap();
    for file in std::fs::read_dir(fixture.dir.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(token.len()).any(|part| part == token.as_bytes()));
    }
}

#[test]
fn preferences_are_those_of_their_owner() {
    let fixture = Fixture::new();
    let ann = user(&fixture, "ann", Role::Viewer);
    let dark = Preferences { theme: Some(Theme::Dark), ..Preferences::default() };
    fixture.store.set_preferences(Whose::User(ann.id), &dark).unwrap();
    assert_eq!(fixture.store.preferences(Whose::User(ann.id)).unwrap(), dark);
    assert_eq!(fixture.store.preferences(Whose::Everybody).unwrap(), Preferences::default());
    let wrong = Preferences { week_start: Some("noday".to_owned()), ..Preferences::default() };
    assert!(fixture.store.set_preferences(Whose::Everybody, &wrong).is_err());
}
