//! Mail, by SMTP: with STARTTLS unless the config says otherwise.

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{
        Mailbox, Mailboxes, MessageBuilder,
        header::{ContentType, Header, HeaderName, HeaderValue, MIME_VERSION_1_0},
    },
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, CertificateStore, Tls, TlsParameters},
    },
};
use pisync_core::models::Summary;
use serde::{Deserialize, Deserializer, de::IgnoredAny};

use crate::{
    messages::{Format, Messages},
    notification::{Delivery, Notification},
    tables::{
        Table,
        secret::Place,
        values::{self, Port, Text, Texts},
    },
};

/// The port for mail that is handed in.
const SUBMISSION: u16 = 587;

/// The same with TLS from the first byte.
const SUBMISSIONS: u16 = 465;

/// How an address is written.
const ADDRESS: &str = "an address such as \"PiSync <pisync@example.org>\"";

/// Addresses, and the server that brings mail there.
#[derive(Debug)]
pub(crate) struct Email {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Mailboxes,
}

/// The keys of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    host: Option<Text>,
    port: Option<Port>,
    #[serde(default)]
    tls: Security,
    from: Option<Address>,
    to: Option<Texts>,
    username: Option<Text>,
    password: Option<IgnoredAny>,
    password_file: Option<Text>,
    password_env: Option<Text>,
    ca_file: Option<Text>,
}

/// One address, with or without a name.
#[derive(Debug)]
struct Address(Mailbox);

/// How the connection is kept secret.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Security {
    #[default]
    StartTls,
    Tls,
    None,
}

/// `Auto-Submitted`, so that no vacation notice answers (RFC 3834).
#[derive(Debug, Clone)]
struct AutoSubmitted;

impl Email {
    pub(crate) fn new(settings: Settings, table: &mut Table<'_>) -> Option<Self> {
        let Settings { host, port, tls: security, from, to, username, password, password_file, password_env, ca_file } =
            settings;
        let host = table.need("host", host);
        let usual = if security == Security::Tls { SUBMISSIONS } else { SUBMISSION };
        let port = port.map_or(usual, |Port(port)| port);
        let from = table.need("from", from);
        let to = table.need("to", to).and_then(|to| table.check("to", mailboxes(to)));
        let place = Place { here: password, file: password_file, env: password_env };
        let credentials = credentials(table, security, username, place);
        let authority = ca_file.and_then(|Text(path)| table.check("ca_file", authority(&path)));
        let Text(host) = host?;
        let tls = tls(table, &host, security, authority)?;
        let builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host).port(port).tls(tls);
        let builder = match credentials {
            Some(credentials) => builder.credentials(credentials),
            None => builder,
        };
        Some(Self { transport: builder.build(), from: from?.0, to: to? })
    }

    pub(crate) async fn send(&self, notification: &Notification, messages: &Messages) -> Delivery {
        let mail = match self.mail(notification, messages) {
            Ok(mail) => mail,
            Err(error) => return Delivery::Dead { why: format!("no mail can be made of it: {error}") },
        };
        self.deliver(mail).await
    }

    pub(crate) async fn send_summary(&self, summary: &Summary, messages: &Messages) -> Delivery {
        let mail = self.head(summary.id.as_str(), &summary.subject);
        match mail.body(messages.week(summary, Format::Plain).join("\n") + "\n") {
            Ok(mail) => self.deliver(mail).await,
            Err(error) => Delivery::Dead { why: format!("no mail can be made of it: {error}") },
        }
    }

    async fn deliver(&self, mail: Message) -> Delivery {
        match self.transport.send(mail).await {
            Ok(_) => Delivery::Sent,
            Err(error) if error.is_permanent() => Delivery::Dead { why: error.to_string() },
            Err(error) => Delivery::Again { after: None, why: error.to_string() },
        }
    }

    fn mail(&self, notification: &Notification, messages: &Messages) -> Result<Message, lettre::error::Error> {
        let domain = self.from.email.domain();
        let mut mail = self.head(&notification.id, &messages.subject(notification, Format::Plain));
        if let ([notice], 0) = (notification.notices.as_slice(), notification.more) {
            // The mails of an incident are one thread.
            mail = mail.references(format!("<{}.incident@{domain}>", notice.alert.id));
        }
        mail.body(text(notification, messages))
    }

    fn head(&self, id: &str, subject: &str) -> MessageBuilder {
        let mail = Message::builder()
            .from(self.from.clone())
            .subject(subject)
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            .header(MIME_VERSION_1_0)
            .header(AutoSubmitted)
            .header(ContentType::TEXT_PLAIN);
        self.to.iter().fold(mail, |mail, to| mail.to(to.clone()))
    }
}

fn text(notification: &Notification, messages: &Messages) -> String {
    let mut parts: Vec<_> =
        notification.notices.iter().map(|notice| messages.alert(notice, Format::Plain).lines().join("\n")).collect();
    parts.extend(messages.rest(notification));
    parts.join("\n\n") + "\n"
}

fn credentials(
    table: &mut Table<'_>,
    security: Security,
    username: Option<Text>,
    password: Place,
) -> Option<Credentials> {
    let password = match username {
        Some(_) => table.needed_secret("password", password),
        None => table.secret("password", password),
    };
    if username.is_none() && password.is_some() {
        table.fault("username", "is missing, and there is a password");
    }
    if username.is_some() && security == Security::None {
        table.fault("username", "is not sent without TLS");
    }
    Some(Credentials::new(username?.0, password?.expose().to_owned()))
}

fn tls(table: &mut Table<'_>, host: &str, security: Security, authority: Option<Certificate>) -> Option<Tls> {
    if security == Security::None {
        return Some(Tls::None);
    }
    let builder = TlsParameters::builder(host.to_owned());
    let builder = match authority {
        Some(authority) => builder.certificate_store(CertificateStore::None).add_root_certificate(authority),
        None => builder,
    };
    let parameters = table.check("host", builder.build().map_err(|error| error.to_string()))?;
    Some(if security == Security::Tls { Tls::Wrapper(parameters) } else { Tls::Required(parameters) })
}

fn authority(path: &str) -> Result<Certificate, String> {
    let pem = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    Certificate::from_pem(&pem).map_err(|_| "names a file without a certificate in PEM".to_owned())
}

fn mailboxes(to: Texts) -> Result<Mailboxes, String> {
    let each = to.each();
    let all = each.iter().map(|text| text.parse().map_err(|_| format!("must be {ADDRESS}")));
    let all: Vec<Mailbox> = all.collect::<Result<_, _>>()?;
    if all.is_empty() { Err("must be at least one address".to_owned()) } else { Ok(all.into_iter().collect()) }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        values::text(deserializer, ADDRESS, |text| text.parse().ok().map(Self))
    }
}

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}
