//! Mail, to a real server that demands STARTTLS and a login.

use alerter::notification::{AlertNotification, Delivery, Notification};
use jiff::SignedDuration;
use pisync_core::models::{AlertName, NotificationKind};
use serde_json::json;
use testkit::{AlerterHarness, MailServer, TestEnv, body};

use crate::receivers::{message, notice, receivers};

pub(crate) fn config(env: &TestEnv, port: u16, to: &str, more: &str) -> String {
    let (ca, password) = (env.path("cert.pem"), env.path("password"));
    format!(
        "[[receiver]]\nname = \"there\"\ntype = \"email\"\nhost = \"localhost\"\nport = {port}\n\
         from = \"PiSync <pisync@example.org>\"\nto = [\"{to}\"]\nusername = \"pisync\"\n\
         password_file = \"{}\"\nca_file = \"{}\"\n{more}",
        password.display(),
        ca.display(),
    )
}

pub(crate) async fn server(env: &TestEnv) -> MailServer {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(env.path("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(env.path("key.pem"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(env.path("password"), "hunter2\n").unwrap();
    MailServer::start(&env.path("cert.pem"), &env.path("key.pem"), env.path("mail.log")).await
}

/// Returns a message to one mailbox of the receiver.
fn to(name: &str, notices: Vec<AlertNotification>) -> Notification {
    Notification { receiver: format!("there/{name}@example.org"), ..message(notices) }
}

#[tokio::test]
async fn a_mail_arrives_over_starttls_with_all_that_people_need() {
    let env = TestEnv::new();
    let server = server(&env).await;
    let receivers = receivers(&env, &config(&env, server.port, "people@example.org", ""));
    for (id, reason) in [("msg_1", NotificationKind::Firing), ("msg_2", NotificationKind::Resolved)] {
        let message = Notification { id: id.into(), ..to("people", vec![notice("école-7", reason)]) };
        assert_eq!(receivers.send(&message).await, Delivery::Sent);
    }
    assert!(!format!("{receivers:?}").contains("hunter2"), "{receivers:?}");
    let mails = server.mails();
    assert_eq!(mails.len(), 2);
    for mail in &mails {
        assert_eq!((&mail["tls"], &mail["login"]), (&true.into(), &true.into()), "{mail}");
        assert_eq!((&mail["from"], &mail["to"][0]), (&"pisync@example.org".into(), &"people@example.org".into()));
    }
    let parsed = parse(&env, mails[0]["data"].as_str().unwrap()).await;
    for part in [
        "Message-ID: <msg_1@example.org>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        "Subject: école-7: 3 failed syncs in a row",
        "since: ",
        "cause: connectivity",
        "0.2 Mbps",
        "last errors: ",
        "last good sync: ",
        "device: https://pisync.example.org/device?id=%C3%A9cole-7",
    ] {
        assert!(parsed.contains(part), "{part}: {parsed}");
    }
    let resolved = parse(&env, mails[1]["data"].as_str().unwrap()).await;
    assert!(resolved.contains("Subject: école-7 has recovered after 3 h 0 min"), "{resolved}");
    let thread = |mail: &str| mail.lines().find(|line| line.starts_with("References: ")).map(str::to_owned);
    assert_eq!(thread(&parsed), thread(&resolved));
    assert!(thread(&parsed).is_some());
    env.remove().await;
}

/// Returns a mail as Python reads it: its headers, decoded, and its text.
pub(crate) async fn parse(env: &TestEnv, mail: &str) -> String {
    std::fs::write(env.path("mail"), mail).unwrap();
    let script = "import email,email.policy,sys\n\
                  mail=email.message_from_bytes(open(sys.argv[1],'rb').read(),policy=email.policy.default)\n\
                  for name,value in mail.items(): print(f'{name}: {value}')\n\
                  print(mail.get_content())";
    let mut python = tokio::process::Command::new("python3");
    let output =
        python.env("PYTHONIOENCODING", "utf-8").args(["-c", script]).arg(env.path("mail")).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn a_full_mailbox_is_tried_again_and_one_that_is_not_there_is_not() {
    let env = TestEnv::new();
    let mut server = server(&env).await;
    let port = server.port;
    let send = async |name: &str| {
        let receivers = receivers(&env, &config(&env, port, &format!("{name}@example.org"), ""));
        receivers.send(&to(name, vec![notice("a", NotificationKind::Firing)])).await
    };
    let full = send("full").await;
    assert!(matches!(&full, Delivery::Again { why, .. } if why.contains("full")), "{full:?}");
    let nobody = send("nobody").await;
    assert!(matches!(&nobody, Delivery::Dead { why } if why.contains("no such mailbox")), "{nobody:?}");

    std::fs::write(env.path("password"), "hunter3").unwrap();
    let stranger = send("people").await;
    assert!(matches!(&stranger, Delivery::Dead { why } if !why.contains("hunter3")), "{stranger:?}");
    assert!(server.mails().is_empty());
    server.service().kill().await;
    let away = send("people").await;
    assert!(matches!(away, Delivery::Again { .. }), "{away:?}");
    env.remove().await;
}

/// Each mailbox is delivered to, retried and given up by itself.
#[tokio::test]
async fn of_five_mailboxes_one_that_refuses_and_one_that_is_full_keep_no_mail_from_three() {
    let env = TestEnv::new();
    let server = server(&env).await;
    let five = ["one", "two", "three", "nobody", "full"].map(|name| format!("{name}@example.org")).join("\", \"");
    let at_once = "[[route]]\nreceiver = \"there\"\ngroup_wait = \"0s\"\n";
    let harness = AlerterHarness::with(&env, &config(&env, server.port, &five, at_once)).await.unwrap();
    let (api, _worker) = (env.api(&[]).await, env.work().await);
    let now = testkit::now();
    let reports: Vec<_> = [50, 40, 30].map(|minutes| body("a", now - SignedDuration::from_mins(minutes), true)).into();
    api.accepts(&reports).await;
    env.drained().await;
    harness.tick_at(now).await.unwrap();
    assert_eq!(harness.try_to_deliver().await.unwrap(), 2);
    let mut reached: Vec<_> = server.mails().iter().map(|mail| mail["to"].clone()).collect();
    reached.sort_by_key(ToString::to_string);
    assert_eq!(reached, ["one", "three", "two"].map(|name| json!([format!("{name}@example.org")])));
    let alerts = env.store().await.alerts();
    let open = alerts.open_of_rule(AlertName::DEVICE_SYNC_FAILING).await.unwrap();
    let incident = &open[0].incident;
    let mut told: Vec<_> = incident.notified.iter().map(|told| told.receiver.as_str()).collect();
    told.sort_unstable();
    assert_eq!(told, ["log", "there/one@example.org", "there/three@example.org", "there/two@example.org"]);
    assert_eq!((incident.dead.len(), incident.dead[0].receiver.as_str()), (1, "there/nobody@example.org"));
    assert_eq!((incident.outbox.len(), incident.outbox[0].receiver.as_str()), (1, "there/full@example.org"));
    assert!(incident.outbox[0].last_error.as_ref().is_some_and(|why| why.contains("full")), "{:?}", incident.outbox);
    env.finish().await;
}

#[tokio::test]
async fn no_password_is_given_to_a_server_that_cannot_show_who_it_is() {
    let env = TestEnv::new();
    let server = server(&env).await;
    // The certificate of another server.
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(env.path("cert.pem"), made.cert.pem()).unwrap();
    let receivers = receivers(&env, &config(&env, server.port, "people@example.org", ""));
    let delivery = receivers.send(&to("people", vec![notice("a", NotificationKind::Firing)])).await;
    assert!(matches!(delivery, Delivery::Again { .. }), "{delivery:?}");
    assert!(server.mails().is_empty());
    env.remove().await;
}
