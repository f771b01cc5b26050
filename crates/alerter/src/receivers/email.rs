//! Mail, by SMTP: with STARTTLS unless the config says otherwise.

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{
        Mailbox, Mailboxes, MessageBuilder,
        header::{ContentType, Header, HeaderName, HeaderValue},
    },
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, CertificateStore, Tls, TlsParameters},
    },
};
use pisync_core::models::Summary;

use super::{wording, wording::Wording};
use crate::{
    alert_config::{Section, field},
    notification::{Delivery, Notification},
};

/// The port for mail that is handed in.
const SUBMISSION: u16 = 587;

/// The same with TLS from the first byte.
const SUBMISSIONS: u16 = 465;

/// Addresses, and the server that brings mail there.
#[derive(Debug)]
pub(super) struct Email {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Mailboxes,
}

/// How the connection is kept secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Security {
    StartTls,
    Tls,
    None,
}

/// `Auto-Submitted`, so that no vacation notice answers (RFC 3834).
#[derive(Debug, Clone)]
struct AutoSubmitted;

impl Email {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let host = section.need("host", field::text);
        let security = section.take("tls", security).unwrap_or(Security::StartTls);
        let usual = if security == Security::Tls { SUBMISSIONS } else { SUBMISSION };
        let port = section.take("port", field::port).unwrap_or(usual);
        let from = section.need("from", |value| mailbox(&field::text(value)?));
        let to = section.need("to", mailboxes);
        let credentials = credentials(section, security);
        let authority = section.take("ca_file", |value| authority(&field::text(value)?));
        let host = host?;
        let tls = tls(section, &host, security, authority)?;
        let builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host).port(port).tls(tls);
        let builder = match credentials {
            Some(credentials) => builder.credentials(credentials),
            None => builder,
        };
        Some(Self { transport: builder.build(), from: from?, to: to? })
    }

    pub(super) async fn send(&self, notification: &Notification, wording: &Wording) -> Delivery {
        let mail = match self.mail(notification, wording) {
            Ok(mail) => mail,
            Err(error) => return Delivery::Dead { why: format!("no mail can be made of it: {error}") },
        };
        self.deliver(mail).await
    }

    pub(super) async fn tell(&self, summary: &Summary, wording: &Wording) -> Delivery {
        let mail = self.head(summary.id.as_str(), &summary.subject);
        match mail.body(wording.week(summary).join("\n") + "\n") {
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

    fn mail(&self, notification: &Notification, wording: &Wording) -> Result<Message, lettre::error::Error> {
        let domain = self.from.email.domain();
        let mut mail = self.head(&notification.id, &Wording::subject(notification));
        if let ([notice], 0) = (notification.notices.as_slice(), notification.more) {
            // The mails of an incident are one thread.
            mail = mail.references(format!("<{}.incident@{domain}>", notice.alert.id));
        }
        mail.body(text(notification, wording))
    }

    fn head(&self, id: &str, subject: &str) -> MessageBuilder {
        let mail = Message::builder()
            .from(self.from.clone())
            .subject(subject)
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            .header(AutoSubmitted)
            .header(ContentType::TEXT_PLAIN);
        self.to.iter().fold(mail, |mail, to| mail.to(to.clone()))
    }
}

fn text(notification: &Notification, wording: &Wording) -> String {
    let mut parts: Vec<_> = notification.notices.iter().map(|notice| wording.lines(notice).join("\n")).collect();
    parts.extend(wording::rest(notification));
    parts.join("\n\n") + "\n"
}

fn credentials(section: &mut Section<'_>, security: Security) -> Option<Credentials> {
    let line = section.line_of("username");
    let username = section.take("username", field::text);
    let password = if username.is_some() { section.needed_secret("password") } else { section.secret("password") };
    if username.is_none() && password.is_some() {
        section.problem(line, "username", "is missing, and there is a password");
    }
    if username.is_some() && security == Security::None {
        section.problem(line, "username", "is not sent without TLS");
    }
    Some(Credentials::new(username?, password?.expose().to_owned()))
}

fn security(value: &toml::de::DeValue<'_>) -> Result<Security, String> {
    match field::text(value)?.as_str() {
        "starttls" => Ok(Security::StartTls),
        "tls" => Ok(Security::Tls),
        "none" => Ok(Security::None),
        _ => Err("must be starttls, tls or none".to_owned()),
    }
}

fn tls(section: &mut Section<'_>, host: &str, security: Security, authority: Option<Certificate>) -> Option<Tls> {
    if security == Security::None {
        return Some(Tls::None);
    }
    let builder = TlsParameters::builder(host.to_owned());
    let builder = match authority {
        Some(authority) => builder.certificate_store(CertificateStore::None).add_root_certificate(authority),
        None => builder,
    };
    let line = section.line_of("host");
    let parameters = builder.build().map_err(|error| section.problem(line, "host", error.to_string())).ok()?;
    Some(if security == Security::Tls { Tls::Wrapper(parameters) } else { Tls::Required(parameters) })
}

fn authority(path: &str) -> Result<Certificate, String> {
    let pem = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    Certificate::from_pem(&pem).map_err(|_| "names a file without a certificate in PEM".to_owned())
}

fn mailbox(text: &str) -> Result<Mailbox, String> {
    text.parse().map_err(|_| "must be an address such as \"PiSync <pisync@example.org>\"".to_owned())
}

fn mailboxes(value: &toml::de::DeValue<'_>) -> Result<Mailboxes, String> {
    let all: Vec<_> = field::texts(value)?.iter().map(|text| mailbox(text)).collect::<Result<_, _>>()?;
    if all.is_empty() { Err("must be at least one address".to_owned()) } else { Ok(all.into_iter().collect()) }
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
