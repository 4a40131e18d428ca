//! Which objects paths name on this router now, for the agent's own decisions.

use super::resolve::{parse, resolve};
use super::{Model, Secrets};
use crate::backend::Backend;
use crate::path::Leaf;
use crate::usp::fault::{Code, Fault};

impl<B: Backend> Model<B> {
    /// The objects each of these object paths names, sorted, with final dots.
    ///
    /// None where that cannot be told: a source it needs has not answered, the path is none, or it names more than
    /// `limit` objects. Every source is asked once for all of them.
    pub async fn named(&self, paths: &[&str], limit: usize) -> Vec<Option<Box<[Box<str>]>>> {
        let mut docs = super::docs::Docs::default();
        self.evaluate(&mut docs, |eval| {
            let one = |path: &&str| -> Result<Option<Box<[Box<str>]>>, Fault> {
                eval.docs.forget_failure();
                eval.docs.forget_doubt();
                let path = parse(path)?;
                let resolved = resolve(eval, &Secrets, &path)?;
                if eval.docs.doubt() || resolved.nodes.len() > limit || !matches!(path.leaf, Leaf::Object) {
                    return Ok(None);
                }
                let mut found: Vec<Box<str>> = resolved.nodes.into_iter().map(|node| node.path.into()).collect();
                crate::order::sort(&mut found);
                Ok(Some(found.into()))
            };
            // What the router does not support has no objects, and that is no doubt.
            let told = |path| one(path).unwrap_or_else(|fault| (fault.code == Code::InvalidPath).then(Box::default));
            paths.iter().map(told).collect()
        })
        .await
    }
}
