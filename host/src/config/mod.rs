//! What the operator wrote, checked and typed: the node's file and the batches.

mod batch;
mod key;
mod node;

pub use batch::{
    AlertPolicy, Batch, Combination, DetectorUse, IngestUse, JobSchedule, NotifierUse, ScorePolicy, TrainPolicy,
};
pub use key::{BatchKey, Job, Slot};
pub use node::{Grants, Limits, Mail, MailSecurity, Node, Secret, Tenant};
