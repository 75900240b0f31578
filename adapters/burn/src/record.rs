//! Saving and loading through burn's records.

use burn::optim::OptimizerRecord;
use burn::tensor::{Bytes, DType};
use burn_pack::{Reader, Tensor, Writer};
use wgpu_adam::State;

use crate::error::Error;
use crate::optimizer::Optimizer;

/// The tensor of the record that holds the state, as the bytes of its safetensors file.
const NAME: &str = "wgpu-adam";

impl Optimizer {
    /// Reads the state into a record of burn, which can be saved to a file or to bytes beside that of the module.
    ///
    /// A run that is saved, loaded and continued is equal to an uninterrupted run, bit for bit. burn's own optimizers find no
    /// state in the record. The state as a safetensors file with PyTorch's names is
    /// [`read_state`](wgpu_adam::Adam::read_state) of [`adam`](Self::adam).
    ///
    /// # Errors
    /// Returns the errors of [`adam`](Self::adam) and of [`Adam::read_state`](wgpu_adam::Adam::read_state), and
    /// [`Error::Record`].
    pub async fn read_record(&self) -> Result<OptimizerRecord, Error> {
        let state = self.adam()?.read_state();
        let bytes = state.await?.to_bytes()?;
        // burn's optimizers expect that a tensor has the id of a parameter: no parameter has this one.
        let tensor = Tensor::new(NAME.into(), DType::U8, [bytes.len()], Some(0), Bytes::from_bytes_vec(bytes));
        let bytes = Writer::new(vec![tensor]).into_bytes().map_err(record)?;
        OptimizerRecord::from_bytes(bytes).map_err(record)
    }

    /// Loads a record that [`read_record`](Self::read_record) made, of the same module in this process or in another one.
    ///
    /// # Errors
    /// Returns [`Error::Record`] for another record, and the errors of [`load_state`](Self::load_state).
    pub async fn load_record(&mut self, from: OptimizerRecord) -> Result<(), Error> {
        let reader = from.into_bytes().map_err(record).and_then(|bytes| Reader::from_bytes(bytes).map_err(record))?;
        self.load_state(&State::from_bytes(&reader.tensor_data(NAME).map_err(record)?)?).await
    }

    /// Loads a state: see [`Adam::load_state`](wgpu_adam::Adam::load_state).
    ///
    /// # Errors
    /// Returns the errors of [`adam`](Self::adam) and of [`Adam::load_state`](wgpu_adam::Adam::load_state).
    #[expect(clippy::await_holding_lock, reason = "no step may come before the state is loaded")]
    pub async fn load_state(&mut self, state: &State) -> Result<(), Error> {
        self.core()?.load(state).await
    }
}

fn record(error: impl std::fmt::Display) -> Error {
    Error::Record { reason: error.to_string() }
}
