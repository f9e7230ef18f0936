export default { apiVersion: 7, probe: () => [] }
