//! Mail by SMTP: with STARTTLS unless the config says otherwise.

use std::num::NonZeroU16;

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{
        Mailbox, MessageBuilder,
        header::{ContentType, HeaderName, HeaderValue, MIME_VERSION_1_0},
    },
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, CertificateStore, Tls, TlsParameters},
    },
};
use pisync_core::{
    models::{OutboxEntry, Summary},
    settings::Secret,
};
use serde::{Deserialize, Deserializer};

use crate::{
    messages::{Format, Messages},
    notification::{Delivery, Notification},
    tables::{Table, Text, Texts, values},
};

/// The port for mail submission.
const SUBMISSION: u16 = 587;

/// The port for mail submission with TLS from the first byte.
const SUBMISSIONS: u16 = 465;

/// A sender, mailboxes, and the mail server.
#[derive(Debug)]
pub(crate) struct Email {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
}

/// The keys of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    host: Option<Text>,
    port: Option<NonZeroU16>,
    #[serde(default)]
    tls: Security,
    #[serde(default, deserialize_with = "address")]
    from: Option<Mailbox>,
    to: Option<Texts>,
    username: Option<Text>,
    password_file: Option<Secret>,
    /// The only trusted authority for the server, in PEM.
    #[serde(default, deserialize_with = "authority")]
    ca_file: Option<Certificate>,
}

/// The encryption of the connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Security {
    #[default]
    StartTls,
    Tls,
    None,
}

impl Email {
    pub(crate) fn new(settings: Settings, table: &mut Table<'_>) -> Option<Self> {
        let Settings { host, port, tls: security, from, to, username, password_file, ca_file } = settings;
        let host = table.need("host", host);
        let usual = if security == Security::Tls { SUBMISSIONS } else { SUBMISSION };
        let port = port.map_or(usual, NonZeroU16::get);
        let from = table.need("from", from);
        let to = table.need("to", to).and_then(|to| table.check("to", mailboxes(to)));
        let credentials = credentials(table, security, username, password_file);
        let Text(host) = host?;
        let tls = tls(table, &host, security, ca_file)?;
        let builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host).port(port).tls(tls);
        let builder = match credentials {
            Some(credentials) => builder.credentials(credentials),
            None => builder,
        };
        Some(Self { transport: builder.build(), from: from?, to: to? })
    }

    /// Returns the addresses of the mailboxes. Each gets mails of its own.
    pub(crate) fn mailboxes(&self) -> impl Iterator<Item = &lettre::Address> {
        self.to.iter().map(|to| &to.email)
    }

    pub(crate) async fn send(&self, notification: &Notification, messages: &Messages) -> Delivery {
        let mut mail = self.head(&notification.id, &messages.subject(notification, Format::Plain));
        if let ([notice], 0) = (notification.notices.as_slice(), notification.more) {
            // The mails of an incident are one thread.
            mail = mail.references(format!("<{}.incident@{}>", notice.alert.id, self.from.email.domain()));
        }
        self.deliver(&notification.receiver, mail, text(notification, messages)).await
    }

    pub(crate) async fn send_summary(&self, address: &str, summary: &Summary, messages: &Messages) -> Delivery {
        let (subject, text) = messages.week(summary, Format::Plain);
        self.deliver(address, self.head(summary.id.as_str(), &subject), text + "\n").await
    }

    /// Delivers to the mailbox that the message is addressed to.
    async fn deliver(&self, address: &str, mail: MessageBuilder, text: String) -> Delivery {
        let Some(to) = self.to.iter().find(|to| address.ends_with(&format!("/{}", to.email))) else {
            return Delivery::Dead { why: "there is no such mailbox any more".to_owned() };
        };
        let mail = match mail.to(to.clone()).body(text) {
            Ok(mail) => mail,
            Err(error) => return Delivery::Dead { why: format!("no mail can be made of it: {error}") },
        };
        match self.transport.send(mail).await {
            Ok(_) => Delivery::Sent,
            Err(error) if error.is_permanent() => Delivery::Dead { why: error.to_string() },
            Err(error) => Delivery::Again { after: None, why: error.to_string() },
        }
    }

    fn head(&self, id: &str, subject: &str) -> MessageBuilder {
        // No vacation notice answers it (RFC 3834).
        let auto_submitted = HeaderName::new_from_ascii_str("Auto-Submitted");
        Message::builder()
            .from(self.from.clone())
            .subject(subject)
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            .header(MIME_VERSION_1_0)
            .raw_header(HeaderValue::new(auto_submitted, "auto-generated".to_owned()))
            .header(ContentType::TEXT_PLAIN)
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
    password: Option<Secret>,
) -> Option<Credentials> {
    if username.is_some() {
        table.need("password_file", password.as_ref());
    }
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

/// Parses the addresses and drops duplicates.
fn mailboxes(texts: Texts) -> Result<Vec<Mailbox>, String> {
    let mut all = texts.into_vec().iter().map(|text| mailbox(text)).collect::<Result<Vec<_>, _>>()?;
    all.sort_by(|one, other| one.email.cmp(&other.email));
    all.dedup_by(|one, other| one.email == other.email);
    let are_clear = all.iter().all(|to| !to.email.to_string().contains(OutboxEntry::LABELS_BEGIN));
    match all.as_slice() {
        [] => Err("must be at least one address".to_owned()),
        _ if !are_clear => Err(format!("must have no {} in it", OutboxEntry::LABELS_BEGIN)),
        _ => Ok(all),
    }
}

/// Parses one address, with or without a name.
fn mailbox(text: &str) -> Result<Mailbox, &'static str> {
    text.parse().map_err(|_| "must be an address such as \"PiSync <pisync@example.org>\"")
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Mailbox>, D::Error> {
    values::parsed(deserializer, mailbox)
}

fn authority<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Certificate>, D::Error> {
    let certificate = |pem: &str| Certificate::from_pem(pem.as_bytes());
    values::parsed(deserializer, |pem| certificate(pem).map_err(|_| "names a file without a certificate in PEM"))
}
