//! The error that ends a command.

use iomap_vocabulary::Exit;
use std::error;
use std::fmt;
use std::path::Path;

/// The reason why a command ends early, with its exit code. It is printed with all its sources: `FILE: what: why`.
#[derive(Debug)]
pub struct Error {
    exit: Exit,
    message: String,
    is_report: bool,
    source: Option<Box<dyn error::Error + Send + Sync>>,
}

impl Error {
    /// An error with a message of its own.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), is_report: false, source: None }
    }

    /// An error in the command line: the user asks for something that is not possible.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// The machine does not let the command do its work.
    pub fn environment(message: impl Into<String>) -> Self {
        Self::new(Exit::Environment, message)
    }

    /// The machine does not let the command read or write a file.
    pub fn file(path: &Path, source: impl Into<Box<dyn error::Error + Send + Sync>>) -> Self {
        Self::environment(path.display().to_string()).because(source)
    }

    /// An error whose message is that of its source.
    pub fn of(exit: Exit, source: impl Into<Box<dyn error::Error + Send + Sync>>) -> Self {
        Self::new(exit, "").because(source)
    }

    /// A report of several lines, which is printed as it is.
    pub fn report(exit: Exit, text: impl Into<String>) -> Self {
        Self { is_report: true, ..Self::new(exit, text) }
    }

    /// The same error with its source.
    #[must_use]
    pub fn because(self, source: impl Into<Box<dyn error::Error + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..self }
    }

    /// The same error with another exit code.
    #[must_use]
    pub fn with(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    /// The exit code of the command.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// Whether the message is a report, which has no name of a command before it.
    pub(crate) fn is_report(&self) -> bool {
        self.is_report
    }
}

/// The message and its sources. Some errors repeat the text of their source in their own text: that text is printed
/// once.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.message.trim_end().to_owned();
        let mut next = error::Error::source(self);
        while let Some(error) = next {
            let text = error.to_string();
            match text.trim_end() {
                text if said.is_empty() => said = text.to_owned(),
                text if !said.ends_with(text) => said += &format!(": {text}"),
                _ => (),
            }
            next = error.source();
        }
        f.write_str(&said)
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[derive(Debug)]
    struct Layer(&'static str, Option<Box<Layer>>);

    impl fmt::Display for Layer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl error::Error for Layer {
        fn source(&self) -> Option<&(dyn error::Error + 'static)> {
            self.1.as_deref().map(|layer| layer as _)
        }
    }

    #[test]
    fn every_source_is_said_once() {
        let chain = |first, second| Layer(first, Some(Box::new(Layer(second, None))));
        let said = |error: Error| error.to_string();
        assert_eq!(said(Error::usage("no such case")), "no such case");
        assert_eq!(
            said(Error::environment("mount").because(chain("the image", "it is short"))),
            "mount: the image: it is short"
        );
        assert_eq!(
            said(Error::environment("mount").because(chain("the image: it is short", "it is short"))),
            "mount: the image: it is short"
        );
        assert_eq!(said(Error::of(Exit::Usage, Layer("no such clause\n", None))), "no such clause");
        let error = Error::file(Path::new("a/b"), io::Error::other("no room"));
        assert_eq!((error.exit(), said(error)), (Exit::Environment, "a/b: no room".into()));
    }
}
