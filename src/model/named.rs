//! Which objects paths name on this router now, for the agent's own decisions.

use super::resolve::parse;
use super::write::Transaction;
use super::{Model, Secrets};
use crate::backend::Backend;
use crate::path::Leaf;
use crate::usp::fault::{Code, Fault};

/// The objects a path names, sorted; None where that cannot be told.
pub(super) type Named = Option<Box<[Box<str>]>>;

impl<B: Backend> Model<B> {
    /// The objects each of these object paths names, sorted, with final dots.
    ///
    /// None where that cannot be told: a source it needs has not answered, the path is none, or it names more than
    /// `limit` objects. Every source is asked once for all of them.
    pub async fn named(&self, paths: &[&str], limit: usize) -> Vec<Named> {
        let mut transaction = self.begin();
        let mut all = Vec::new();
        for path in paths {
            let found = transaction.named_by(path, limit).await;
            // What the router does not support has no objects, and that is no doubt.
            all.push(found.unwrap_or_else(|fault| (fault.code == Code::InvalidPath).then(Box::default)));
        }
        all
    }
}

impl<B: Backend> Transaction<'_, B> {
    async fn named_by(&mut self, path: &str, limit: usize) -> Result<Named, Fault> {
        let path = parse(path)?;
        self.docs.forget_failure();
        self.docs.forget_doubt();
        let resolved = self.resolved(&Secrets, &path).await?;
        if self.docs.doubt() || resolved.nodes.len() > limit || !matches!(path.leaf, Leaf::Object) {
            return Ok(None);
        }
        let mut found: Vec<Box<str>> = resolved.nodes.into_iter().map(|node| node.path.into()).collect();
        crate::order::sort(&mut found);
        Ok(Some(found.into()))
    }
}
