//! The state of one tensor on the CPU.

use crate::config::rule::StateKind;

/// What is remembered of one tensor. What its rule has not is empty.
#[derive(Clone, Debug)]
pub(crate) struct Moments {
    pub m: Vec<f32>,
    pub v: Vec<f32>,
    pub v_max: Vec<f32>,
    /// The f32 of which a 16-bit param is the rounding; of a remainder any number with these lower bits.
    pub master: Vec<f32>,
}

impl Moments {
    /// The numbers that are stored there, or of scales those that they scale.
    pub fn of(&self, kind: StateKind) -> &Vec<f32> {
        match kind {
            StateKind::M | StateKind::MScale => &self.m,
            StateKind::V | StateKind::VScale => &self.v,
            StateKind::VMax | StateKind::VMaxScale => &self.v_max,
            StateKind::Master | StateKind::Remainder => &self.master,
        }
    }

    pub fn of_mut(&mut self, kind: StateKind) -> &mut Vec<f32> {
        match kind {
            StateKind::M | StateKind::MScale => &mut self.m,
            StateKind::V | StateKind::VScale => &mut self.v,
            StateKind::VMax | StateKind::VMaxScale => &mut self.v_max,
            StateKind::Master | StateKind::Remainder => &mut self.master,
        }
    }
}
