//! Embeds the templates of messages, so that the program needs no file of them.

fn main() {
    minijinja_embed::embed_templates!("src/messages/en");
}
