//! Delete: instances, all in one transaction.
//!
//! A supported path that names nothing there is success without affected paths (R-DEL.2a; TP-469 1.25, 1.29).

use super::super::Agent;
use super::{Asker, Outcome, Refusal, is_search};
use crate::backend::Backend;
use crate::model::{Everything, Node, Permit, Rights, Transaction};
use crate::usp::fault::Fault;
use crate::usp::wire::msg::delete_resp::deleted_object_result::OperationStatus;
use crate::usp::wire::msg::delete_resp::deleted_object_result::operation_status::{
    OperStatus, OperationFailure, OperationSuccess,
};
use crate::usp::wire::msg::delete_resp::{DeletedObjectResult, UnaffectedPathError};
use crate::usp::wire::msg::response::RespType;
use crate::usp::wire::msg::{Delete, DeleteResp};

/// The table whose rows have subscriptions.
const CONTROLLERS: &str = "Device.LocalAgent.Controller.";

/// Answers a Delete.
pub async fn handle<B: Backend>(agent: &mut Agent<B>, asker: &Asker, request: Delete) -> Outcome {
    let mut transaction = agent.model.begin();
    let mut results = Vec::new();
    for path in &request.obj_paths {
        let outcome = remove(&mut transaction, asker, path, request.allow_partial).await;
        if let (false, Err(refusal)) = (request.allow_partial, refuse(path, &outcome)) {
            transaction.abandon().await;
            return Err(refusal);
        }
        results.push(result(asker, path, outcome));
    }
    let committed = transaction.commit().await?;
    agent.after.committed(committed);
    Ok(RespType::DeleteResp(DeleteResp { deleted_obj_results: results }))
}

/// What became of the instances of one path.
#[derive(Default)]
struct Removal {
    affected: Vec<String>,
    unaffected: Vec<(String, Fault)>,
}

async fn remove<B: Backend>(
    transaction: &mut Transaction<'_, B>,
    asker: &Asker,
    path: &str,
    at_once: bool,
) -> Result<Removal, Fault> {
    let mut removal = Removal::default();
    for object in transaction.deletable(&*asker.access, path).await? {
        let start = transaction.savepoint();
        let mut removed = remove_one(transaction, asker, &object).await;
        if at_once && removed.is_ok() {
            removed = transaction.carry_out().await.into_iter().next().map_or(Ok(()), |(_, fault)| Err(fault));
        }
        match removed {
            Ok(()) => removal.affected.push(object.path),
            // The one object that was meant: its failure is the result.
            Err(fault) if !is_search(path) => return Err(fault),
            Err(fault) => {
                transaction.undo(start).await;
                removal.unaffected.push((object.path, fault));
            }
        }
    }
    Ok(removal)
}

/// An instance; with a controller go its subscriptions (TP-469 1.78) and thresholds, whoever may delete those.
async fn remove_one<B: Backend>(
    transaction: &mut Transaction<'_, B>,
    asker: &Asker,
    object: &Node,
) -> Result<(), Fault> {
    let row = object.path.strip_prefix(CONTROLLERS).and_then(|rest| rest.strip_suffix('.'));
    if row.is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit())) {
        let recipient = object.path.trim_end_matches('.');
        for (table, whose) in [("Subscription", "Recipient"), ("Threshold", "Controller")] {
            let path = format!("Device.LocalAgent.{table}.[{whose}==\"{recipient}\"].");
            // A model without thresholds has no such table.
            for row in transaction.objects(&Everything, &path).await.unwrap_or_default() {
                transaction.delete(&Everything, &row).await?;
            }
        }
    }
    transaction.delete(&*asker.access, object).await
}

fn refuse(path: &str, outcome: &Result<Removal, Fault>) -> Result<(), Refusal> {
    match outcome {
        Err(fault) => Err(Refusal::of(path, fault.clone())),
        Ok(removal) => match removal.unaffected.first() {
            Some((_, fault)) => Err(Refusal { fault: fault.clone(), params: removal.unaffected.clone() }),
            None => Ok(()),
        },
    }
}

fn result(asker: &Asker, path: &str, outcome: Result<Removal, Fault>) -> DeletedObjectResult {
    let status = match outcome {
        Ok(removal) => OperStatus::OperSuccess(success(asker, removal)),
        Err(fault) => {
            OperStatus::OperFailure(OperationFailure { err_code: fault.code as u32, err_msg: fault.text.into_owned() })
        }
    };
    DeletedObjectResult {
        requested_path: path.to_owned(),
        oper_status: Some(OperationStatus { oper_status: Some(status) }),
    }
}

/// Paths the controller may not read are left out (R-DEL.2, R-DEL.4).
fn success(asker: &Asker, removal: Removal) -> OperationSuccess {
    let may_read = |path: &str| asker.access.object(path).allow(Rights::OBJECT_READ);
    let error = |(path, fault): (String, Fault)| UnaffectedPathError {
        unaffected_path: path,
        err_code: fault.code as u32,
        err_msg: fault.text.into_owned(),
    };
    OperationSuccess {
        affected_paths: removal.affected.into_iter().filter(|path| may_read(path)).collect(),
        unaffected_path_errs: removal.unaffected.into_iter().filter(|(path, _)| may_read(path)).map(error).collect(),
    }
}
